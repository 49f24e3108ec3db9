"""Process reward models from published labels: layouts, targets, trainers."""
