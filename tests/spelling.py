"""What the course's own spelling leaves out."""

import re

# The course spells as in America; British forms that this one does not use, whole words.
BRITISH = re.compile(
    r"\b(?:"
    r"(?:de|re|un|non-?)?(?:normal|initial|optim|token|general|special|organ|recogn|visual|summar|minim|maxim|regular|"
    r"parallel|penal|factor|local|util|equal|emphas|memor|serial|synchron|quant|standard|categor|random|real|central)"
    r"is(?:e|ed|es|ing|ation|ations|er|ers)"
    r"|colou?r(?<=colour)\w*|behaviou?r(?<=behaviour)\w*|neighbou?r(?<=neighbour)\w*|favou?r(?<=favour)\w*"
    r"|cent(?:re|red|res)|analys(?:e|ed|ing)|licence[sd]?|labell(?:ed|ing)|modell(?:ed|ing|er)|travell\w+|cancell(?:ed|ing)"
    r"|grey|catalogue[sd]?|defence|artefacts?|whilst|learnt|spelt"
    r")\b",
    re.IGNORECASE,
)
