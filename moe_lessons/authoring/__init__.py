"""Write a lesson as a Python file, and build, run, clean, time and try the notebook that learners open.

    python -m moe_lessons.authoring text notebooks/01_text_to_tokens.ipynb -o /tmp/01_text_to_tokens.py
    python -m moe_lessons.authoring build /tmp/01_text_to_tokens.py
    python -m moe_lessons.authoring run                    # every notebook again, in place
    python -m moe_lessons.authoring clean                  # without running anything
    python -m moe_lessons.authoring table                  # the lessons' titles and minutes into README.md
    python -m moe_lessons.authoring times                  # the same, and how long that took into TEACHING.md
    python -m moe_lessons.authoring robust                 # every statement on other machines: data/margins.json

A lesson's source is jupytext's percent format: `# %% [markdown]` and `# %% tags=["nbval-ignore-output"]`. A
notebook differs from the one built before it in nothing but what its cells printed: no clocks, no random ids.
"""
