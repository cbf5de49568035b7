"""The tables of the shop and their rows, which are the same on every side and machine."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from perfproof_demo.price_rules import CATEGORIES
from perfproof_demo.settings import ShopSize

TABLES: tuple[LiteralString, ...] = (
    "create table customers (id int primary key, name text not null)",
    "create table products (id int primary key, sku text not null, name text not null, category text not null,"
    " price numeric(8,2) not null)",
    "create table stock (product_id int, warehouse int, quantity int not null, primary key (product_id, warehouse))",
    "create table orders (id int, customer_id int not null, placed_at timestamptz not null, status text not null,"
    " total numeric(10,2) not null, address text not null)",
    "create table order_items (id int, order_id int not null, product_id int not null, quantity int not null,"
    " unit_price numeric(8,2) not null)",
)
KEYS: tuple[LiteralString, ...] = (
    "alter table orders add primary key (id)",
    "alter table order_items add primary key (id)",
    "create index order_items_order_id on order_items (order_id)",
)
# setseed makes every side and every machine hold the same rows.
SEED = "select setseed(0.18)"
CUSTOMERS = "insert into customers select i, 'Customer ' || i from generate_series(1, %(customers)s) i"
PRODUCTS = """
insert into products select i, chr(65 + i %% 26) || chr(65 + i / 26 %% 26) || '-' || lpad(i::text, 5, '0'), 'Product ' || i,
  (%(categories)s::text[])[1 + i %% 10], round((1 + random() * 99)::numeric, 2) from generate_series(1, %(products)s) i
"""
STOCK = """
insert into stock select p, w, floor(random() * 50)::int from generate_series(1, %(products)s) p, generate_series(1, 3) w
"""
ORDERS = """
insert into orders select i, 1 + floor(random() * %(customers)s)::int, timestamptz '2024-01-01Z' + i * interval '5 minutes',
  (array['paid', 'packed', 'sent', 'returned'])[1 + floor(random() * 4)::int], round((5 + random() * 400)::numeric, 2),
  'Customer, ' || i %% 97 || ' Long Lane, back door on the left, Example Town, ' || lpad((i * 7 %% 99999)::text, 5, '0')
from generate_series(1, %(orders)s) i
"""
ITEMS = """
insert into order_items select i, 1 + (i - 1) / 3, 1 + floor(random() * %(products)s)::int, 1 + floor(random() * 5)::int,
  round((1 + random() * 99)::numeric, 2) from generate_series(1, 3 * %(orders)s) i
"""


def fill(connection: psycopg.Connection[tuple[Any, ...]], size: ShopSize) -> None:
    """Makes the tables in an empty database, fills and analyzes them. There is no index on orders.customer_id."""
    parameters = {
        "customers": size.customers,
        "products": size.products,
        "orders": size.orders,
        "categories": list(CATEGORIES),
    }
    for table in TABLES:
        connection.execute(table)
    connection.execute(SEED)
    for statement in (CUSTOMERS, PRODUCTS, STOCK, ORDERS, ITEMS):
        connection.execute(statement, parameters)
    for key in KEYS:
        connection.execute(key)
    connection.execute("vacuum (analyze)")
