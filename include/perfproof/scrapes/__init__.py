"""What a scrape of an endpoint shows: its text, what may be asked of it, and the values between two scrapes."""
