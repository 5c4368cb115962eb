from .recipe_rules import RECIPE_RULES as RECIPE_RULES
from .recipe_rules import RecipeRule as RecipeRule
from .recipe_rules import RuledRecipe as RuledRecipe
from .recipe_rules import best_rule as best_rule
from .recipe_text import constructor_lines as constructor_lines
from .schedule import LearningRateSchedule as LearningRateSchedule
