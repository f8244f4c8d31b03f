"""The numbered rules of OpenADR 2.0b as checks from outside, on any VTN or VEN.

    stage = VtnStage(Line("http://127.0.0.1:8080"), clock=SystemClock())
    result = await run(stage, VTN_CHECKS, target="my VTN")
    for outcome in result.outcomes:
        outcome.check.id, outcome.verdict, outcome.reason

`VtnStage` plays a VEN to the VTN under test, `VenStage` a VTN to the VEN under test.
"""
