"""The one room where a person's record is changed: tree, history and outbox rows in one transaction."""

from service.chart.chart import Chart
from service.chart.entries import Entry, Page, Patient
from service.chart.register import PatientRegister

__all__ = ["Chart", "Entry", "Page", "Patient", "PatientRegister"]
