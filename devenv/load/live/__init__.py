"""Load tests that go on beside this process: started, found again, followed, stopped. Locust is never imported."""
