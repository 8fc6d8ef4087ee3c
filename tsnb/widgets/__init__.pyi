from .shape_errors import ShapeErrorExplorer as ShapeErrorExplorer
from .tying import TyingView as TyingView
