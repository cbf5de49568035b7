"""The order history of a customer: what is read from the database, how often, and what is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import psycopg

WARM_UP_CUSTOMERS = 250

ORDERS_OF_CUSTOMER = "select id, customer_id, placed_at, status, total from orders where customer_id = %s order by placed_at desc, id"
ITEMS_OF_ORDER = "select id, product_id, quantity, unit_price from order_items where order_id = %s order by id"
PRODUCT = "select id, sku, name, category, price from products where id = %s"
ITEMS_OF_ORDERS = (
    "select i.order_id, i.quantity, i.unit_price, p.id, p.sku, p.name, p.category, p.price"
    " from order_items i join products p on p.id = i.product_id where i.order_id = any(%s) order by i.order_id, i.id"
)
ORDERS_OF_CUSTOMERS = (
    "select id, customer_id, placed_at, status, total from orders where customer_id between %s and %s"
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
    """A row of order_items with its product."""

    product: Product
    quantity: int
    unit_price: Decimal


@dataclass(slots=True)
class Order:
    """A row of orders with its items."""

    id: int
    customer: int
    placed_at: datetime
    status: str
    total: Decimal
    items: list[Item] = field(default_factory=list)


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
    """A way to read the orders of one customer, newest first."""

    def __call__(self, session: Session, customer: int) -> list[Order]: ...


def read_one_by_one(session: Session, customer: int) -> list[Order]:
    """The orders of `customer`: a statement for the items of each order, and one for the product of each item."""
    orders = [Order(*row) for row in session.rows(ORDERS_OF_CUSTOMER, customer)]
    for order in orders:
        for _, product, quantity, price in session.rows(ITEMS_OF_ORDER, order.id):
            order.items.append(Item(Product(*session.rows(PRODUCT, product)[0]), quantity, price))
    return orders


def read_in_batch(session: Session, customer: int) -> list[Order]:
    """The orders of `customer` in two statements."""
    orders = [Order(*row) for row in session.rows(ORDERS_OF_CUSTOMER, customer)]
    _add_items(session, orders)
    return orders


def render(customer: int, orders: Sequence[Order], work: Work) -> bytes:
    """The JSON body of an order history."""
    started = time.perf_counter()
    document = {
        "customer": customer,
        "orders": [
            {
                "id": order.id,
                "placed_at": order.placed_at.isoformat(),
                "status": order.status,
                "total": str(order.total),
                "items": [
                    {
                        "sku": item.product.sku,
                        "name": item.product.name,
                        "quantity": item.quantity,
                        "unit_price": str(item.unit_price),
                    }
                    for item in order.items
                ],
            }
            for order in orders
        ],
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    work.render_seconds += time.perf_counter() - started
    return body


@dataclass(slots=True)
class HistoryCache:
    """Histories by customer, their rows and their bodies. Nothing is ever evicted: it grows with the customers."""

    histories: dict[int, tuple[list[Order], bytes]] = field(default_factory=dict)

    def body(self, customer: int) -> bytes | None:
        """The body of a customer whose history is kept."""
        kept = self.histories.get(customer)
        return kept[1] if kept is not None else None

    def keep(self, customer: int, orders: list[Order], body: bytes) -> None:
        """Keeps the history of `customer`."""
        self.histories[customer] = (orders, body)

    def warm_up(self, session: Session) -> None:
        """Reads the history of every customer, so that no request after a deployment has to."""
        (last,) = session.rows("select coalesce(max(customer_id), 0) from orders")[0]
        for first in range(1, last + 1, WARM_UP_CUSTOMERS):
            by_customer: dict[int, list[Order]] = {}
            orders = [Order(*row) for row in session.rows(ORDERS_OF_CUSTOMERS, first, first + WARM_UP_CUSTOMERS - 1)]
            _add_items(session, orders)
            for order in orders:
                by_customer.setdefault(order.customer, []).append(order)
            for customer, history in by_customer.items():
                self.keep(customer, history, render(customer, history, session.work))


def _add_items(session: Session, orders: list[Order]) -> None:
    by_id = {order.id: order for order in orders}
    for order_id, quantity, unit_price, *product in session.rows(ITEMS_OF_ORDERS, list(by_id)):
        by_id[order_id].items.append(Item(Product(*product), quantity, unit_price))
