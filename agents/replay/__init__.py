"""A trace of real requests, played as tasks of a fleet.

trace       the file: read, checked, row by row
cost        how long a request takes
fleet       who carries the tasks out
simulation  who gets which task when
service     the orders, given to the services of this process
http        the orders, given to a running server
"""
