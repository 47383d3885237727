"""Style, scripts and the plotting library (uPlot, MIT) of the page, as they are sent: no tool has touched them."""
