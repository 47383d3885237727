"""What a map of a known structure tells of the microscope: pixel size, hand, scale."""
