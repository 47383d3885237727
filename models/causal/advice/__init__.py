"""What to change at the microscope: what could be done, what each would gain and cost, and what is said of it."""
