"""The painters of made-up images, one module for each kind of image; they know nothing of the rest of the package."""
