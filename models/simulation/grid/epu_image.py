"""The XML that EPU writes beside its image of a square or of a hole."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from frazil.models.simulation.grid.images import Sheet

_SHARED = "http://schemas.datacontract.org/2004/07/Fei.SharedObjects"
_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_DRAWING = "http://schemas.datacontract.org/2004/07/System.Drawing"
_TYPES = "http://schemas.datacontract.org/2004/07/Fei.Types"
_MEDIA = "http://schemas.datacontract.org/2004/07/System.Windows.Media"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_M_PER_UM = 1e-6


def image_xml(name: str, sheet: Sheet, utc_us: int, *, magnification: int, defocus_um: float, exposure_s: float) -> str:
    """Of an image that lies as `sheet` does; `defocus_um` is positive for underfocus."""
    (a, b), (c, d) = sheet.matrix_um_per_px
    matrix = "".join(
        f"<a:{part}>{value * _M_PER_UM:.12E}</a:{part}>"
        for part, value in (("_m11", a), ("_m12", c), ("_m21", b), ("_m22", d))
    )
    size = f"<numericValue>{sheet.um_per_px * _M_PER_UM:.12E}</numericValue>"
    applied = (
        f'<a:KeyValueOfstringanyType><a:Key>AppliedDefocus</a:Key><a:Value i:type="b:double" xmlns:b="{_SCHEMA}">'
        f"{-defocus_um * _M_PER_UM:.6E}</a:Value></a:KeyValueOfstringanyType>"
    )
    zero = "".join(
        f'<{part} xmlns:a="{_TYPES}"><a:_x>0</a:_x><a:_y>0</a:_y></{part}>'
        for part in ("BeamShift", "BeamTilt", "ImageShift")
    )
    when = datetime.fromtimestamp(utc_us / 1e6, tz=UTC).isoformat()
    return (
        f'<MicroscopeImage xmlns="{_SHARED}" xmlns:i="{_INSTANCE}"><name>Empty</name>'
        f'<uniqueID>{uuid5(NAMESPACE_URL, name)}</uniqueID><CustomData xmlns:a="{_ARRAYS}">{applied}</CustomData>'
        f'<IntensityScale i:nil="true"/><ReferenceTransformation><matrix xmlns:a="{_MEDIA}">{matrix}</matrix>'
        f"</ReferenceTransformation><SpatialScale><pixelSize><x>{size}</x><y>{size}</y></pixelSize></SpatialScale>"
        f"<microscopeData><acquisition><acquisitionDateTime>{when}</acquisitionDateTime><camera>"
        f'<Binning xmlns:a="{_DRAWING}"><a:x>2</a:x><a:y>2</a:y></Binning><ExposureTime>{exposure_s:g}</ExposureTime>'
        f'<ReadoutArea xmlns:a="{_DRAWING}"><a:height>{sheet.height_px}</a:height><a:width>{sheet.width_px}</a:width>'
        "<a:x>0</a:x><a:y>0</a:y></ReadoutArea></camera></acquisition>"
        "<core><ApplicationSoftware>EPU</ApplicationSoftware>"
        "<ApplicationSoftwareVersion>3.7.0.6930</ApplicationSoftwareVersion></core>"
        "<gun><AccelerationVoltage>300000</AccelerationVoltage></gun>"
        f"<optics>{zero}<Defocus>{defocus_um * _M_PER_UM:.6E}</Defocus><TemMagnification><NominalMagnification>"
        f"{magnification}</NominalMagnification></TemMagnification></optics><stage><Position><A>0</A><B>0</B>"
        f"<X>{sheet.x_um * _M_PER_UM:.9E}</X><Y>{sheet.y_um * _M_PER_UM:.9E}</Y><Z>0</Z></Position></stage>"
        "</microscopeData></MicroscopeImage>"
    )
