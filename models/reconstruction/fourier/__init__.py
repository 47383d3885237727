"""Images and maps as Fourier samples: transforms, central slices, and the sums that slices are added to."""
