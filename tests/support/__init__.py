"""What several tests share: small fields, calibrated networks, a slow reference."""
