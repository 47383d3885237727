"""What a person must not overlook: rules, wording, channels (mail, webhooks), and the disk."""
