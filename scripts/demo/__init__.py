"""The story that ``make demo`` tells: three questions to a model, and what each answer was worth."""
