"""What the running map makes of a tilted specimen and of a tilted beam."""
