"""The course as a web site: lessons as pages on which every widget is alive, without a kernel."""
