"""What modes are built of: the screen of a mode, header, panes, pictures, plots, lists, dialogs."""
