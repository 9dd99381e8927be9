"""The model, one idea a file: each is what one lesson builds."""
