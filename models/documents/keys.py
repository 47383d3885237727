"""What the keys of programs' files mean: field and unit of each.

EPU's names are those of its versions 1 to 3, mmCIF's and EMDB's those of their dictionaries (mmcif_pdbx, emdb-schemas),
OSC-EM's of its schema, SerialEM's of its help.
"""

from __future__ import annotations

from dataclasses import dataclass

from frazil.models.documents.fields import Field


@dataclass(frozen=True, slots=True)
class Key:
    """`unit`: that of the value where the file tells none; `-um`: and underfocus is negative; of `kV|V` the second is
    taken, and marked, where the first cannot be. `pair`: the key of the other end of a range. `loose`: the file's word
    does not fix what is meant, and the value is marked."""

    field: Field
    unit: str = ""
    pair: str = ""
    loose: str = ""


PROSE = frozenset({"details", "description", "sample_preparation"})
"""Last parts of keys under which sentences stand."""
EPU = {
    "microscopeData/gun/AccelerationVoltage": Key(Field.VOLTAGE, "V"),
    "microscopeData/optics/TemMagnification/NominalMagnification": Key(Field.MAGNIFICATION),
    "SpatialScale/pixelSize/x/numericValue": Key(Field.PIXEL_IMAGE, "m"),
    "CustomData/DetectorCommercialName": Key(Field.CAMERA),
    "CustomData/Detectors[].CommercialName": Key(Field.CAMERA),
    "microscopeData/optics/EnergyFilter/EnergySelectionSlitWidth": Key(Field.SLIT, "eV"),
    "microscopeData/optics/EnergyFilter/EnergySelectionSlitInserted": Key(Field.SLIT_INSERTED),
    "microscopeData/acquisition/camera/ExposureTime": Key(Field.EXPOSURE, "s"),
    "CustomData/DoseOnCamera": Key(Field.DOSE_CAMERA, "e/px"),
    "CustomData/Dose": Key(Field.DOSE, "e/m2"),
    "CustomData/Detectors[].DoseRate": Key(Field.DOSE_RATE_CAMERA, "e/px/s"),
    "CustomData/DoseRate": Key(Field.DOSE_RATE_BARE, "", loose="the file names no unit"),
    "CameraSpecificInput/DoseRate": Key(Field.DOSE_RATE_BARE, "", loose="the file names no unit"),
    "CustomData/Detectors[].FrameRate": Key(Field.FRAME_RATE, "1/s"),
    "CustomData/AppliedDefocus": Key(Field.DEFOCUS_TARGET, "-m"),
    "microscopeData/optics/Defocus": Key(
        Field.DEFOCUS_LENS, "-m", loose="counts from wherever the operator last zeroed it"
    ),
    "CustomData/Aperture[C2].Name": Key(Field.C2_APERTURE, "um"),
    "CustomData/Aperture[OBJ].Name": Key(Field.OBJECTIVE_APERTURE, "um"),
    "microscopeData/acquisition/camera/ReadoutArea/width": Key(Field.WIDTH),
    "microscopeData/acquisition/camera/ReadoutArea/height": Key(Field.HEIGHT),
    "microscopeData/acquisition/camera/Binning/x": Key(Field.BINNING),
    "CameraSpecificInput/SuperResolutionFactor": Key(Field.SUPER_RESOLUTION),
    "camera/NumberOfFractions": Key(Field.FRAMES),
    "microscopeData/core/ApplicationSoftware": Key(Field.SOFTWARE),
    "CustomData/PhasePlateUsed": Key(Field.PHASE_PLATE),
    "CustomData/Detectors[].EerGainReference": Key(Field.GAIN),
    "CustomData/Detectors[].GainReference": Key(Field.GAIN),
    "EER": Key(Field.FORMAT, loose="it names a gain reference for EER"),
    "microscopeData/instrument/InstrumentModel": Key(Field.MICROSCOPE),
    # EpuSession.dm
    "DoseFractionsOutputFormat": Key(Field.FORMAT),
    "PhasePlateEnabled": Key(Field.PHASE_PLATE),
}
MDOC = {
    "PixelSpacing": Key(Field.PIXEL_STORED, "A"),
    "Voltage": Key(Field.VOLTAGE, "kV"),
    "SphericalAberration": Key(Field.CS, "mm"),
    "Magnification": Key(Field.MAGNIFICATION),
    "ExposureTime": Key(Field.EXPOSURE, "s"),
    "NumSubFrames": Key(Field.FRAMES),
    "TargetDefocus": Key(Field.DEFOCUS_TARGET, "-um"),
    "Defocus": Key(Field.DEFOCUS_LENS, "-um", loose="is where the lens stood"),
    "DoseRate": Key(Field.DOSE_RATE_BARE, "", loose="the file names no unit; it is measured on the camera"),
    "PriorRecordDose": Key(Field.DOSE_PRIOR, "e/A2"),
    "Binning": Key(Field.BINNING),
    "GainReference": Key(Field.GAIN),
    "Camera": Key(Field.CAMERA),
}
CIF = {
    "em_imaging.accelerating_voltage": Key(Field.VOLTAGE, "kV|V"),
    "em_imaging.nominal_cs": Key(Field.CS, "mm"),
    "em_imaging.microscope_model": Key(Field.MICROSCOPE),
    "em_imaging.nominal_magnification": Key(Field.MAGNIFICATION),
    "em_imaging.calibrated_magnification": Key(Field.MAGNIFICATION_CALIBRATED),
    "em_imaging.nominal_defocus_min": Key(Field.DEFOCUS, "nm", pair="em_imaging.nominal_defocus_max"),
    "em_imaging.calibrated_defocus_min": Key(Field.DEFOCUS_CALIBRATED, "nm", pair="em_imaging.calibrated_defocus_max"),
    "em_imaging.c2_aperture_diameter": Key(Field.C2_APERTURE, "um"),
    "em_imaging.objective_aperture": Key(Field.OBJECTIVE_APERTURE, "um"),
    "em_imaging.tilt_angle_min": Key(Field.TILT_RANGE, "deg", pair="em_imaging.tilt_angle_max"),
    "em_image_recording.film_or_detector_model": Key(Field.CAMERA),
    "em_image_recording.detector_mode": Key(Field.CAMERA_MODE),
    "em_image_recording.avg_electron_dose_per_image": Key(Field.DOSE, "e/A2"),
    "em_image_recording.average_exposure_time": Key(Field.EXPOSURE, "s"),
    "em_image_recording.num_real_images": Key(Field.MOVIES),
    "em_image_scans.dimension_width": Key(Field.WIDTH),
    "em_image_scans.dimension_height": Key(Field.HEIGHT),
    "em_image_scans.frames_per_image": Key(Field.FRAMES),
    "em_image_scans.used_frames_per_image": Key(Field.FRAMES, loose="of the frames that were used"),
    "em_imaging_optics.energyfilter_slit_width": Key(Field.SLIT, "eV"),
    "em_imaging_optics.energyfilter_name": Key(Field.ENERGY_FILTER),
    "em_imaging_optics.phase_plate": Key(Field.PHASE_PLATE),
    "em_3d_reconstruction.actual_pixel_size": Key(Field.PIXEL, "A", loose="of the map, perhaps after binning"),
    "em_3d_reconstruction.nominal_pixel_size": Key(Field.PIXEL, "A", loose="of the map, perhaps after binning"),
    "em_3d_reconstruction.num_particles": Key(Field.PARTICLES),
    "em_3d_reconstruction.resolution": Key(Field.RESOLUTION, "A"),
    "em_single_particle_entity.point_symmetry": Key(Field.SYMMETRY),
    "em_entity_assembly.name": Key(Field.SPECIMEN),
    "em_entity_assembly_molwt.value": Key(Field.MASS, "MDa"),
    "entity.formula_weight": Key(Field.MASS, "Da|kDa"),
    "em_specimen.concentration": Key(Field.CONCENTRATION, "mg/ml"),
    "em_software.name": Key(Field.SOFTWARE),
    "em_map.pixel_spacing_x": Key(Field.PIXEL, "A", loose="of the map, perhaps after binning"),
    "em_tomography.axis1_min_angle": Key(Field.TILT_RANGE, "deg", pair="em_tomography.axis1_max_angle"),
    "em_tomography.axis1_angle_increment": Key(Field.TILT_STEP, "deg"),
    "em_tomography.dual_tilt_axis_rotation": Key(Field.TILT_AXIS, "deg"),
    "struct.title": Key(Field.TITLE),
}
OSC = {
    "acquisition.pixel_size": Key(Field.PIXEL, "A"),
    "acquisition.detector": Key(Field.CAMERA),
    "acquisition.detector_mode": Key(Field.CAMERA_MODE),
    "acquisition.dose_per_movie": Key(Field.DOSE, "e/A2"),
    "acquisition.exposure_time": Key(Field.EXPOSURE, "s"),
    "acquisition.energy_filter.width": Key(Field.SLIT, "eV"),
    "acquisition.energy_filter.used": Key(Field.SLIT_INSERTED),
    "acquisition.energy_filter.model": Key(Field.ENERGY_FILTER),
    "acquisition.nominal_defocus.minimal": Key(Field.DEFOCUS, "-nm", pair="acquisition.nominal_defocus.maximal"),
    "acquisition.calibrated_defocus.minimal": Key(
        Field.DEFOCUS_CALIBRATED, "-nm", pair="acquisition.calibrated_defocus.maximal"
    ),
    "acquisition.nominal_magnification": Key(Field.MAGNIFICATION),
    "acquisition.calibrated_magnification": Key(Field.MAGNIFICATION_CALIBRATED),
    "acquisition.binning_camera": Key(Field.BINNING),
    "acquisition.image_size.width": Key(Field.WIDTH),
    "acquisition.image_size.height": Key(Field.HEIGHT),
    "acquisition.images_generated": Key(Field.MOVIES),
    "acquisition.frames_per_movie": Key(Field.FRAMES),
    "acquisition.microscope_software": Key(Field.SOFTWARE),
    "acquisition.specialist_optics.phaseplate.used": Key(Field.PHASE_PLATE),
    "acquisition.tilt_angle.minimal": Key(Field.TILT_RANGE, "deg", pair="acquisition.tilt_angle.maximal"),
    "acquisition.tilt_angle.increment": Key(Field.TILT_STEP, "deg"),
    "instrument.acceleration_voltage": Key(Field.VOLTAGE, "kV|V"),
    "instrument.c2_aperture": Key(Field.C2_APERTURE, "um"),
    "instrument.objective_aperture": Key(Field.OBJECTIVE_APERTURE, "um"),
    "instrument.cs": Key(Field.CS, "mm"),
    "instrument.microscope": Key(Field.MICROSCOPE),
    "sample.overall_molecule.name_sample": Key(Field.SPECIMEN),
    "sample.overall_molecule.molecular_weight": Key(Field.MASS, "kDa"),
    "sample.specimen.concentration": Key(Field.CONCENTRATION, "mg/ml"),
    "dataformat": Key(Field.FORMAT),
    "datasetname": Key(Field.TITLE),
}
EMPIAR = {
    "admin/title": Key(Field.TITLE),
    "imageSet/framesPerImage": Key(Field.FRAMES),
    "imageSet/numImagesOrTiltSeries": Key(Field.MOVIES),
    "imageSet/dataFormat": Key(Field.FORMAT),
    "dimensions/imageWidth": Key(Field.WIDTH),
    "dimensions/imageHeight": Key(Field.HEIGHT),
    "dimensions/pixelWidth": Key(Field.PIXEL_STORED, "A"),
    "relatedEMDBEntries/emdbEntry": Key(Field.RELATED),
    "imageSet/frameRange": Key(Field.FRAMES, loose="a range of frames"),
}
EMDB = {
    "acceleration_voltage": Key(Field.VOLTAGE, "kV"),
    "nominal_cs": Key(Field.CS, "mm"),
    "microscope": Key(Field.MICROSCOPE),
    "film_or_detector_model": Key(Field.CAMERA),
    "detector_mode": Key(Field.CAMERA_MODE),
    "average_electron_dose_per_image": Key(Field.DOSE, "e/A2"),
    "average_exposure_time": Key(Field.EXPOSURE, "s"),
    "number_real_images": Key(Field.MOVIES),
    "frames_per_image": Key(Field.FRAMES),
    "nominal_defocus_min": Key(Field.DEFOCUS, "um", pair="nominal_defocus_max"),
    "calibrated_defocus_min": Key(Field.DEFOCUS_CALIBRATED, "um", pair="calibrated_defocus_max"),
    "nominal_magnification": Key(Field.MAGNIFICATION),
    "calibrated_magnification": Key(Field.MAGNIFICATION_CALIBRATED),
    "c2_aperture_diameter": Key(Field.C2_APERTURE, "um"),
    "energy_filter/name": Key(Field.ENERGY_FILTER),
    "energy_filter/slit_width": Key(Field.SLIT, "eV"),
    "phase_plate": Key(Field.PHASE_PLATE),
    "point_group": Key(Field.SYMMETRY),
    "number_images_used": Key(Field.PARTICLES),
    "resolution": Key(Field.RESOLUTION, "A"),
    "concentration": Key(Field.CONCENTRATION, "mg/ml"),
    "admin/title": Key(Field.TITLE),
    "pixel_spacing/x": Key(Field.PIXEL, "A", loose="of the map, perhaps after binning"),
    "supramolecule/name": Key(Field.SPECIMEN),
}
