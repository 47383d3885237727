"""Files of the field (MRC, TIFF, EER, DM, STAR, mdoc, XML): bytes to typed records, with limits on their size."""
