"""Service level objectives that go live: burn-rate alerts, their back-test, and their form in the tools that alert and plan."""
