"""What several modes say: values with their units, signs and colours, names of causes, alerts. Knows no Textual."""
