from .runs import Runs as Runs
from .table import Table as Table
from .table import as_table as as_table
from .table import read_optima as read_optima
from .table import read_table_file as read_table_file
