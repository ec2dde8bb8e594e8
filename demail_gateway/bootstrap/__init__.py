"""The one place where adapters meet ports: what each process receives is put together here from its settings."""

from demail_gateway.bootstrap.command_line import CommandLineAdministration, administration
from demail_gateway.bootstrap.diagnosis import Diagnosis, diagnose
from demail_gateway.bootstrap.offline import fingerprint_of, inspection_tools, migrate, new_identity, sample_pdf
from demail_gateway.bootstrap.parts import Observing, observing
from demail_gateway.bootstrap.rest import rest_services
from demail_gateway.bootstrap.work import inbound_services, scheduler_services, worker_services

__all__ = [
    "CommandLineAdministration",
    "Diagnosis",
    "Observing",
    "administration",
    "diagnose",
    "fingerprint_of",
    "inbound_services",
    "inspection_tools",
    "migrate",
    "new_identity",
    "observing",
    "rest_services",
    "sample_pdf",
    "scheduler_services",
    "worker_services",
]
