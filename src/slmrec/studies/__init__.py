"""Studies: grids of trainings that answer one question each, over one resumable runner."""
