"""The types that the 2.0b schema gives to elements, for peers that name them in `xsi:type`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["XSI_TYPES"]

_NAMED_ALIKE = (
    "ei:currentValue ei:eiActivePeriod ei:eiEventBaseline ei:eiEventSignal ei:eiEventSignals ei:eiEvent "
    "ei:eventDescriptor ei:reportName ei:signalName ei:signalPayload oadr:Therm oadr:oadrCancelOpt "
    "oadr:oadrCancelPartyRegistration oadr:oadrCancelReport oadr:oadrCanceledOpt "
    "oadr:oadrCanceledPartyRegistration oadr:oadrCanceledReport oadr:oadrCreateOpt "
    "oadr:oadrCreatePartyRegistration oadr:oadrCreateReport oadr:oadrCreatedEvent oadr:oadrCreatedOpt "
    "oadr:oadrCreatedPartyRegistration oadr:oadrCreatedReport oadr:oadrDistributeEvent "
    "oadr:oadrLoadControlState oadr:oadrPayloadResourceStatus oadr:oadrPendingReports oadr:oadrPoll "
    "oadr:oadrQueryRegistration oadr:oadrRegisterReport oadr:oadrRegisteredReport oadr:oadrReportDescription "
    "oadr:oadrReportPayload oadr:oadrReportRequest oadr:oadrReport oadr:oadrRequestEvent "
    "oadr:oadrRequestReregistration oadr:oadrResponse oadr:oadrSamplingRate oadr:oadrServiceName "
    "oadr:oadrUpdateReport oadr:oadrUpdatedReport oadr:pulseCount oadr:temperature "
)
_NAMED_OTHERWISE = {
    "": "power:powerReal/power:itemUnits",
    "currency:ISO3AlphaCurrencyCodeContentType": (
        "oadr:currency/oadr:itemUnits oadr:currencyPerKW/oadr:itemUnits oadr:currencyPerKWh/oadr:itemUnits "
        "oadr:currencyPerThm/oadr:itemUnits "
    ),
    "ei:AccuracyType": "ei:accuracy",
    "ei:ConfidenceType": "ei:confidence",
    "ei:EiResponseType": "ei:eiResponse",
    "ei:EiTargetType": "ei:eiTarget ei:reportDataSource ei:reportSubject oadr:oadrDeviceClass",
    "ei:EventStatusEnumeratedType": "ei:eventStatus",
    "ei:IntervalType": "ei:interval",
    "ei:OptReasonType": "ei:optReason",
    "ei:OptTypeType": "ei:optType",
    "ei:PayloadFloatType": "ei:payloadFloat",
    "ei:QualifiedEventIDType": "ei:qualifiedEventID",
    "ei:ReadingTypeType": "ei:readingType",
    "ei:ReportSpecifierType": "ei:reportSpecifier",
    "ei:ReportTypeType": "ei:reportType",
    "ei:ResponseCodeType": "ei:responseCode",
    "ei:SignalTypeEnumeratedType": "ei:signalType",
    "ei:SpecifierPayloadType": "ei:specifierPayload",
    "ei:UidType": "ei:registrationID",
    "emix:MarketContextType": "emix:marketContext",
    "emix:ServiceAreaType": "emix:serviceArea",
    "gml:doubleList": "gml:posList",
    "oadr:BaseUnitType": "oadr:customUnit",
    "oadr:CurrentType": "oadr:current",
    "oadr:FrequencyType": "oadr:frequency",
    "oadr:ResponseRequiredType": "oadr:oadrResponseRequired",
    "oadr:currencyItemDescriptionType": (
        "oadr:currency/oadr:itemDescription oadr:currencyPerKW/oadr:itemDescription "
        "oadr:currencyPerKWh/oadr:itemDescription oadr:currencyPerThm/oadr:itemDescription "
    ),
    "oadr:currencyType": "oadr:currency oadr:currencyPerKW oadr:currencyPerKWh oadr:currencyPerThm",
    "oadr:oadrDataQualityTypeType": "oadr:oadrDataQuality",
    "oadr:oadrGBItemBase": "oadr:oadrGBDataDescription",
    "oadr:oadrGBStreamPayloadBase": "oadr:oadrGBPayload",
    "oadr:oadrLoadControlStateTypeType": (
        "oadr:oadrCapacity oadr:oadrLevelOffset oadr:oadrPercentOffset oadr:oadrSetPoint "
    ),
    "oadr:oadrProfileType": "oadr:oadrProfileName",
    "oadr:oadrTransportType": "oadr:oadrTransportName",
    "oadr:temperatureUnitType": "oadr:temperature/oadr:itemUnits",
    "power:AggregatedPnodeType": "power:aggregatedPnode",
    "power:EndDeviceAssetType": "power:endDeviceAsset",
    "power:EnergyApparentType": "power:energyApparent",
    "power:EnergyReactiveType": "power:energyReactive",
    "power:EnergyRealType": "power:energyReal",
    "power:MeterAssetType": "power:meterAsset",
    "power:MridType": "power:mrid",
    "power:NodeType": "power:node power:pointOfDelivery power:pointOfReceipt",
    "power:PnodeType": "power:pnode",
    "power:PowerApparentType": "power:powerApparent",
    "power:PowerAttributesType": "power:powerAttributes",
    "power:PowerReactiveType": "power:powerReactive",
    "power:PowerRealType": "power:powerReal",
    "power:ServiceDeliveryPointType": "power:serviceDeliveryPoint",
    "power:ServiceLocationType": "power:serviceLocation",
    "power:TransportInterfaceType": "power:transportInterface",
    "power:VoltageType": "power:voltage",
    "scale:SiScaleCodeType": "scale:siScaleCode",
    "xcal:ArrayOfVavailabilityContainedComponents": "xcal:components",
    "xcal:AvailableType": "xcal:available",
    "xcal:DateTimeType": "ei:createdDateTime ei:modificationDateTime xcal:date-time",
    "xcal:DurationPropType": (
        "ei:eiEventBaseline/xcal:duration ei:interval/xcal:duration ei:reportBackDuration ei:x-eiNotification "
        "ei:x-eiRampUp ei:x-eiRecovery oadr:oadrReport/xcal:duration oadr:oadrRequestedOadrPollFreq "
        "xcal:granularity xcal:properties/xcal:duration "
    ),
    "xcal:DurationValueType": "oadr:oadrMaxPeriod oadr:oadrMinPeriod xcal:duration xcal:startafter",
    "xcal:VavailabilityType": "xcal:vavailability",
    "xcal:WsCalendarIntervalType": "ei:reportInterval",
    "xs:boolean": (
        "oadr:oadrHttpPullModel oadr:oadrManualOverride oadr:oadrOnChange oadr:oadrOnline oadr:oadrReportOnly "
        "oadr:oadrXmlSignature power:ac pyld:reportToFollow "
    ),
    "xs:decimal": "power:hertz power:powerAttributes/power:voltage",
    "xs:float": "ei:value oadr:oadrCurrent oadr:oadrMax oadr:oadrMin oadr:oadrNormal oadr:pulseFactor",
    "xs:string": (
        "ei:baselineID ei:baselineName ei:eiReportID ei:eventID ei:groupID ei:groupName ei:modificationReason "
        "ei:optID ei:partyID ei:rID ei:reportRequestID ei:reportSpecifierID ei:resourceID "
        "ei:responseDescription ei:signalID ei:testEvent ei:venID ei:vtnComment ei:vtnID oadr:itemDescription "
        "oadr:itemUnits oadr:oadrExtensionName oadr:oadrKey oadr:oadrTransportAddress oadr:oadrValue "
        "oadr:oadrVenName power:itemDescription power:itemUnits pyld:requestID xcal:text "
    ),
    "xs:unsignedInt": "ei:modificationNumber ei:priority pyld:replyLimit",
}

XSI_TYPES: Mapping[str, str] = MappingProxyType(
    {tag: f"{tag}Type" for tag in _NAMED_ALIKE.split()}
    | {tag: name for name, tags in _NAMED_OTHERWISE.items() for tag in tags.split()}
)
"""The type of an element by its name; by `parent/name` where the parent decides.

Elements whose type has no name are left out, or have an empty one.
"""
