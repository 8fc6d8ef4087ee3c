"""Scripts of the course's makers, outside the wheel."""
