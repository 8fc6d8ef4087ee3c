from .shape_errors import ShapeErrorExplorer as ShapeErrorExplorer
