"""What people change in a session: settings, thresholds, and what they did at the microscope."""
