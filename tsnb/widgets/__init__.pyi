from .artifact_viewer import ArtifactViewer as ArtifactViewer
from .doctor import DoctorView as DoctorView
from .max_length import MaxLengthChooser as MaxLengthChooser
from .neuron_planner import NeuronPlanner as NeuronPlanner
from .padding import PaddingCostView as PaddingCostView
from .shape_errors import ShapeErrorExplorer as ShapeErrorExplorer
from .tying import TyingView as TyingView
