"""Readers of profiles that other tools wrote, each into `perfproof.profiles.Profile`; `content.read_profile` tells them apart."""
