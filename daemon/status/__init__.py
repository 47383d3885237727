"""What screen and scripts are told: the live record once a second, answers to questions and orders."""
