"""Commands of `perfproof` that talk to an Airflow."""
