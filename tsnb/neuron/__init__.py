"""AWS Neuron: what this machine has, and the conversion where the SDK is there.

Taught in notebook 05. Facts are from AWS's documentation of SDK 2.32.0 (August 2026).
"""

from tsnb.neuron.convert import convert as convert
from tsnb.neuron.detect import Detection as Detection
from tsnb.neuron.detect import detect as detect
