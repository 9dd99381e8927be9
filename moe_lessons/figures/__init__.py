"""Still pictures: arrays and traces in, matplotlib figures out; never a model, never pyplot.

`lesson_NN.py` holds what that lesson alone draws, `charts.py` and `at_work.py` what several lessons draw. A file with a
widget's subject (`routing.py`: RouterView, `capacity.py`: DropView, ...) holds that widget's still picture. All of them
are drawn with `style.py`, `colors.py` and `numbers.py`, on the sheet of `paper.py`, and told in words by `alt_text.py`.
"""
