"""Many points: experiments, cases, sweeps, methods and disorder draws."""
