"""The order history of a customer: what is read from the database, how often, and what is kept."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import psycopg

WARM_UP_CUSTOMERS = 250

ORDERS_OF_CUSTOMER = (
    "select id, customer_id, placed_at, status, total, address from orders where customer_id = %s order by placed_at desc, id"
)
SUMMARY_OF_CUSTOMER = "select count(*), coalesce(sum(total), 0) from orders where customer_id = %s"
ITEMS_OF_ORDER = "select id, product_id, quantity, unit_price from order_items where order_id = %s order by id"
PRODUCT = "select id, sku, name, category, price from products where id = %s"
STOCK_OF_PRODUCT = "select sum(quantity)::int from stock where product_id = %s"
ITEMS_OF_ORDERS = (
    "select i.order_id, i.quantity, i.unit_price, s.quantity, p.id, p.sku, p.name, p.category, p.price"
    " from order_items i join products p on p.id = i.product_id"
    " join (select product_id, sum(quantity)::int as quantity from stock group by product_id) s on s.product_id = p.id"
    " where i.order_id = any(%s) order by i.order_id, i.id"
)
ORDERS_OF_CUSTOMERS = (
    "select id, customer_id, placed_at, status, total, address from orders where customer_id between %s and %s"
    " order by customer_id, placed_at desc, id"
)


@dataclass(slots=True)
class Product:
    """A row of products."""

    id: int
    sku: str
    name: str
    category: str
    price: Decimal


@dataclass(slots=True)
class Item:
    """A row of order_items with its product and what is left of it."""

    product: Product
    quantity: int
    unit_price: Decimal
    in_stock: int


@dataclass(slots=True)
class Order:
    """A row of orders with its items."""

    id: int
    customer: int
    placed_at: datetime
    status: str
    total: Decimal
    address: str
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """The orders of a customer, newest first, and how many and how much they are."""

    customer: int
    count: int
    spent: Decimal
    orders: list[Order]


@dataclass(slots=True)
class Work:
    """What one request has cost so far: statements, and seconds in the database and in rendering."""

    queries: int = 0
    database_seconds: float = 0.0
    render_seconds: float = 0.0


@dataclass(slots=True)
class Session:
    """A database connection for one request; counts what it runs."""

    connection: psycopg.Connection[tuple[Any, ...]]
    work: Work

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of `statement`."""
        started = time.perf_counter()
        try:
            return self.connection.execute(statement, parameters).fetchall()
        finally:
            self.work.queries += 1
            self.work.database_seconds += time.perf_counter() - started


class ReadHistory(Protocol):
    """A way to read the history of one customer."""

    def __call__(self, session: Session, customer: int) -> History: ...


def read_one_by_one(session: Session, customer: int) -> History:
    """The history of `customer`: statements for the items of each order, and for the product and stock of each item."""
    count, spent = session.rows(SUMMARY_OF_CUSTOMER, customer)[0]
    orders = [Order(*row) for row in session.rows(ORDERS_OF_CUSTOMER, customer)]
    for order in orders:
        for _, product, quantity, price in session.rows(ITEMS_OF_ORDER, order.id):
            bought = Product(*session.rows(PRODUCT, product)[0])
            (in_stock,) = session.rows(STOCK_OF_PRODUCT, product)[0]
            order.items.append(Item(bought, quantity, price, in_stock))
    return History(customer, count, spent, orders)


def read_in_batch(session: Session, customer: int) -> History:
    """The history of `customer` in two statements."""
    orders = [Order(*row) for row in session.rows(ORDERS_OF_CUSTOMER, customer)]
    _add_items(session, orders)
    return _history(customer, orders)


def render(history: History, work: Work) -> bytes:
    """The JSON body of an order history."""
    started = time.perf_counter()
    document = {
        "customer": history.customer,
        "order_count": history.count,
        "spent": str(history.spent),
        "orders": [
            {
                "id": order.id,
                "placed_at": order.placed_at.isoformat(),
                "status": order.status,
                "total": str(order.total),
                "address": order.address,
                "items": [
                    {
                        "sku": item.product.sku,
                        "name": item.product.name,
                        "quantity": item.quantity,
                        "unit_price": str(item.unit_price),
                        "in_stock": item.in_stock,
                    }
                    for item in order.items
                ],
            }
            for order in history.orders
        ],
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    work.render_seconds += time.perf_counter() - started
    return body


@dataclass(slots=True)
class HistoryCache:
    """Histories by customer, their rows and their bodies. Nothing is ever evicted: it grows with the customers."""

    kept: dict[int, tuple[History, bytes]] = field(default_factory=dict)

    def body(self, customer: int) -> bytes | None:
        """The body of a customer whose history is kept."""
        known = self.kept.get(customer)
        return known[1] if known is not None else None

    def keep(self, history: History, body: bytes) -> None:
        """Keeps the history of a customer."""
        self.kept[history.customer] = (history, body)

    def warm_up(self, session: Session) -> None:
        """Reads the history of every customer, so that no request after a deployment has to."""
        (last,) = session.rows("select coalesce(max(customer_id), 0) from orders")[0]
        for first in range(1, last + 1, WARM_UP_CUSTOMERS):
            by_customer: dict[int, list[Order]] = {}
            orders = [Order(*row) for row in session.rows(ORDERS_OF_CUSTOMERS, first, first + WARM_UP_CUSTOMERS - 1)]
            _add_items(session, orders)
            for order in orders:
                by_customer.setdefault(order.customer, []).append(order)
            for customer, theirs in by_customer.items():
                history = _history(customer, theirs)
                self.keep(history, render(history, session.work))


def _history(customer: int, orders: list[Order]) -> History:
    return History(customer, len(orders), sum((order.total for order in orders), Decimal(0)), orders)


def _add_items(session: Session, orders: list[Order]) -> None:
    by_id = {order.id: order for order in orders}
    for order_id, quantity, unit_price, in_stock, *product in session.rows(ITEMS_OF_ORDERS, list(by_id)):
        by_id[order_id].items.append(Item(Product(*product), quantity, unit_price, in_stock))
