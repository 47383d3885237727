"""The XML that EPU leaves beside an exposure, as far as a causal model can read anything from it."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.sax.saxutils import escape

from benchmarks.causal_world.physics import Causes, Instrument


def exposure_xml(
    instrument: Instrument,
    causes: Causes,
    *,
    start_utc_s: float,
    exposure_time_s: float,
    stage_um: tuple[float, float],
    size_px: int,
    dose_calibration: float,
) -> str:
    """Text of `FoilHole_..._Data_....xml`; SI units as EPU writes them, underfocus negative."""
    when = datetime.fromtimestamp(start_utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")
    pixel = instrument.pixel_size_angstrom * 1e-10
    dose = instrument.dose_e_per_a2 * dose_calibration
    shift_x, shift_y = (part * 1e-6 for part in causes.image_shift_um)
    stage_x, stage_y = (part * 1e-6 for part in stage_um)
    custom = {
        "AppliedDefocus": f"{-causes.defocus_angstrom * 1e-10:.6e}",
        "Dose": f"{dose * 1e20:.8e}",
        "DoseOnCamera": f"{dose * instrument.pixel_size_angstrom**2:.6f}",
        "DoseRate": f"{causes.dose_rate_e_per_px_s * dose_calibration:.6f}",
        "Detectors[EF-CCD].CommercialName": "counting camera",
        "PhasePlateUsed": "false",
    }
    pairs = "".join(
        f"<KeyValueOfstringanyType><Key>{escape(key)}</Key><Value>{value}</Value></KeyValueOfstringanyType>"
        for key, value in custom.items()
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects">
<CustomData>{pairs}</CustomData>
<microscopeData><acquisition><acquisitionDateTime>{when}</acquisitionDateTime>
<camera><Binning><x>1</x><y>1</y></Binning><ExposureTime>{exposure_time_s:.6f}</ExposureTime><Name>EF-CCD</Name>
<ReadoutArea><height>{size_px}</height><width>{size_px}</width><x>0</x><y>0</y></ReadoutArea>
<CameraSpecificInput><KeyValueOfstringanyType><Key>FractionationSettings</Key>
<Value><NumberOffractions>{instrument.frames}</NumberOffractions></Value></KeyValueOfstringanyType></CameraSpecificInput>
</camera></acquisition>
<gun><AccelerationVoltage>{instrument.voltage_kv * 1e3:.0f}</AccelerationVoltage></gun>
<instrument><InstrumentModel>TITAN52336320</InstrumentModel></instrument>
<optics><BeamShift><_x>{shift_x * 1e4:.8f}</_x><_y>{shift_y * 1e4:.8f}</_y></BeamShift>
<BeamTilt><_x>0.001</_x><_y>-0.002</_y></BeamTilt><EFTEMOn>true</EFTEMOn>
<EnergyFilter><EnergySelectionSlitInserted>true</EnergySelectionSlitInserted>
<EnergySelectionSlitWidth>20</EnergySelectionSlitWidth></EnergyFilter>
<ImageShift><_x>{shift_x:.8e}</_x><_y>{shift_y:.8e}</_y></ImageShift></optics>
<stage><Position><A>0</A><B>0</B><X>{stage_x:.8e}</X><Y>{stage_y:.8e}</Y><Z>0</Z></Position></stage>
</microscopeData>
<SpatialScale><pixelSize><x><numericValue>{pixel:.6e}</numericValue></x><y><numericValue>{pixel:.6e}</numericValue></y>
</pixelSize></SpatialScale>
</MicroscopeImage>
"""
