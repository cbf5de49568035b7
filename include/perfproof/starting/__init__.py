"""What a service of one's own starts with: its protocol file, templates of the supplied files, and what to do next.

Texts in, texts out: `given` reads what a person says of the service, `protocol_file`, `first_inputs` and `next_steps` write it.
"""

from perfproof.starting.first_inputs import first_inputs
from perfproof.starting.given import DEFAULT_CHANGE, Endpoint, Given, Person, read_given
from perfproof.starting.next_steps import next_steps
from perfproof.starting.protocol_file import protocol_file
from perfproof.starting.traffic import Metric, Path

__all__ = ["DEFAULT_CHANGE", "Endpoint", "Given", "Metric", "Path", "Person", "first_inputs", "next_steps", "protocol_file", "read_given"]
