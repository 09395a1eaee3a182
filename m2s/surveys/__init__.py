"""What the images of a data set are like, in numbers and pictures."""

from m2s.surveys.tour import Tour

open = Tour.of
