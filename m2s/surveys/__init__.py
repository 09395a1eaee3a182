"""What the images of a data set are like, in numbers and pictures."""
