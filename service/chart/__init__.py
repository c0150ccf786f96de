"""The one room where a person's record is changed: tree, history and outbox rows in one transaction."""

from service.chart.chart import Chart
from service.chart.register import PatientRegister
from service.chart.versions import Page, Patient, RecordVersion

__all__ = ["Chart", "Page", "Patient", "PatientRegister", "RecordVersion"]
