from .artifact_viewer import ArtifactViewer as ArtifactViewer
from .max_length import MaxLengthChooser as MaxLengthChooser
from .neuron_planner import NeuronPlanner as NeuronPlanner
from .padding import PaddingCostView as PaddingCostView
from .progress import ProgressView as ProgressView
from .quiz import QuizView as QuizView
from .shape_errors import ShapeErrorExplorer as ShapeErrorExplorer
