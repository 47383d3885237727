"""What all modes share: header, panes, pictures, dialogs, signs and colours."""
