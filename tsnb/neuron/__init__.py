"""AWS Neuron: what this machine has, and the conversion where the SDK is there.

Taught in notebook 05. Facts are from AWS's documentation of SDK 2.32.0 (August 2026).
"""

from tsnb.neuron.conversion import convert as convert
from tsnb.neuron.detection import Detection as Detection
from tsnb.neuron.detection import detect as detect
