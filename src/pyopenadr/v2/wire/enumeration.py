"""The closed and extensible lists of the 2.0 schemas."""

from __future__ import annotations

__all__ = [
    "CURRENCIES",
    "CURRENCY_DESCRIPTIONS",
    "DATA_QUALITIES",
    "DEVICE_CLASSES",
    "EVENT_STATUSES",
    "OPT_REASONS",
    "OPT_TYPES",
    "POWER_REAL_UNITS",
    "PROFILE_NAMES",
    "READING_TYPES",
    "REPORT_NAMES",
    "REPORT_TYPES",
    "RESPONSE_REQUIRED",
    "SCHEMA_VERSIONS",
    "SERVICE_NAMES",
    "SIGNAL_NAMES",
    "SIGNAL_TYPES",
    "SIGNAL_TYPES_A",
    "SI_SCALE_CODES",
    "TEMPERATURE_UNITS",
    "TRANSPORT_NAMES",
]

EVENT_STATUSES = ("none", "far", "near", "active", "completed", "cancelled")
RESPONSE_REQUIRED = ("always", "never")
OPT_TYPES = ("optIn", "optOut")
OPT_REASONS = (
    "economic",
    "emergency",
    "mustRun",
    "notParticipating",
    "outageRunStatus",
    "overrideStatus",
    "participating",
    "x-schedule",
)
SIGNAL_NAMES = (
    "SIMPLE",
    "simple",
    "ELECTRICITY_PRICE",
    "ENERGY_PRICE",
    "DEMAND_CHARGE",
    "BID_PRICE",
    "BID_LOAD",
    "BID_ENERGY",
    "CHARGE_STATE",
    "LOAD_DISPATCH",
    "LOAD_CONTROL",
)
SIGNAL_TYPES = (
    "delta",
    "level",
    "multiplier",
    "price",
    "priceMultiplier",
    "priceRelative",
    "setpoint",
    "x-loadControlCapacity",
    "x-loadControlLevelOffset",
    "x-loadControlPercentOffset",
    "x-loadControlSetpoint",
)
SIGNAL_TYPES_A = (
    "delta",
    "level",
    "multiplier",
    "price",
    "priceMultiplier",
    "priceRelative",
    "product",
    "setpoint",
)
REPORT_NAMES = (
    "METADATA_HISTORY_USAGE",
    "HISTORY_USAGE",
    "METADATA_HISTORY_GREENBUTTON",
    "HISTORY_GREENBUTTON",
    "METADATA_TELEMETRY_USAGE",
    "TELEMETRY_USAGE",
    "METADATA_TELEMETRY_STATUS",
    "TELEMETRY_STATUS",
)
REPORT_TYPES = (
    "reading",
    "usage",
    "demand",
    "setPoint",
    "deltaUsage",
    "deltaSetPoint",
    "deltaDemand",
    "baseline",
    "deviation",
    "avgUsage",
    "avgDemand",
    "operatingState",
    "upRegulationCapacityAvailable",
    "downRegulationCapacityAvailable",
    "regulationSetpoint",
    "storedEnergy",
    "targetEnergyStorage",
    "availableEnergyStorage",
    "price",
    "level",
    "powerFactor",
    "percentUsage",
    "percentDemand",
    "x-resourceStatus",
)
READING_TYPES = (
    "Direct Read",
    "Net",
    "Allocated",
    "Estimated",
    "Summed",
    "Derived",
    "Mean",
    "Peak",
    "Hybrid",
    "Contract",
    "Projected",
    "x-RMS",
    "x-notApplicable",
)
DATA_QUALITIES = (
    "No Quality - No Value",
    "No New Value - Previous Value Used",
    "Quality Bad - Non Specific",
    "Quality Bad - Configuration Error",
    "Quality Bad - Not Connected",
    "Quality Bad - Device Failure",
    "Quality Bad - Sensor Failure",
    "Quality Bad - Last Known Value",
    "Quality Bad - Comm Failure",
    "Quality Bad - Out of Service",
    "Quality Uncertain - Non Specific",
    "Quality Uncertain - Last Usable Value",
    "Quality Uncertain - Sensor Not Accurate",
    "Quality Uncertain - EU Units Exceeded",
    "Quality Uncertain - Sub Normal",
    "Quality Good - Non Specific",
    "Quality Good - Local Override",
    "Quality Limit - Field/Not",
    "Quality Limit - Field/Low",
    "Quality Limit - Field/High",
    "Quality Limit - Field/Constant",
)
DEVICE_CLASSES = (
    "Thermostat",
    "Strip_Heater",
    "Baseboard_Heater",
    "Water_Heater",
    "Pool_Pump",
    "Sauna",
    "Hot_tub",
    "Smart_Appliance",
    "Irrigation_Pump",
    "Managed_Commercial_and_Industrial_Loads",
    "Simple_Residential_On_Off_Loads",
    "Exterior_Lighting",
    "Interior_Lighting",
    "Electric_Vehicle",
    "Generation_Systems",
    "Load_Control_Switch",
    "Smart_Inverter",
    "EVSE",
    "RESU",
    "Energy_Management_System",
    "Smart_Energy_Module",
    "Storage",
)
"""Device classes of 2.0b rule 111; the schema takes any text there."""
PROFILE_NAMES = ("2.0a", "2.0b")
SCHEMA_VERSIONS = ("2.0a", "2.0b")
TRANSPORT_NAMES = ("simpleHttp", "xmpp")
SERVICE_NAMES = ("EiEvent", "EiOpt", "EiReport", "EiRegisterParty", "OadrPoll")
POWER_REAL_UNITS = ("W", "J/s")
TEMPERATURE_UNITS = ("celsius", "fahrenheit")
SI_SCALE_CODES = ("p", "n", "micro", "m", "c", "d", "k", "M", "G", "T", "none")
CURRENCY_DESCRIPTIONS = ("currency", "currencyPerKW", "currencyPerKWh")
# fmt: off
CURRENCIES = (
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF",
    "BMD", "BND", "BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYR", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CLF",
    "CLP", "CNY", "COP", "COU", "CRC", "CUC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EEK", "EGP", "ERN",
    "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GWP", "GYD", "HKD", "HNL", "HRK",
    "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW",
    "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LTL", "LVL", "LYD", "MAD", "MDL", "MGA", "MKD",
    "MMK", "MNT", "MOP", "MRO", "MUR", "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR",
    "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD",
    "SCR", "SDG", "SEK", "SGD", "SHP", "SLL", "SOS", "SRD", "STD", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND",
    "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "USN", "USS", "UYI", "UYU", "UZS", "VEF", "VND", "VUV",
    "WST", "XAF", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XCD", "XDR", "XFU", "XOF", "XPD", "XPF", "XPT", "XTS",
    "XXX", "YER", "ZAR", "ZMK", "ZWL",
)
# fmt: on
"""The ISO 4217 codes of the schema, as of 2010; later codes are not schema-valid."""
