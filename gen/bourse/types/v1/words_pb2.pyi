from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]

class OrderType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_TYPE_UNSPECIFIED: _ClassVar[OrderType]
    ORDER_TYPE_LIMIT: _ClassVar[OrderType]
    ORDER_TYPE_MARKET: _ClassVar[OrderType]
    ORDER_TYPE_STOP: _ClassVar[OrderType]
    ORDER_TYPE_STOP_LIMIT: _ClassVar[OrderType]
    ORDER_TYPE_TAKE_PROFIT: _ClassVar[OrderType]
    ORDER_TYPE_TAKE_PROFIT_LIMIT: _ClassVar[OrderType]
    ORDER_TYPE_TRAILING_STOP: _ClassVar[OrderType]

class TimeInForce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_IN_FORCE_UNSPECIFIED: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_IOC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_FOK: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTD: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GFA: _ClassVar[TimeInForce]

class TriggerBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIGGER_BY_UNSPECIFIED: _ClassVar[TriggerBy]
    TRIGGER_BY_LAST_PRICE: _ClassVar[TriggerBy]
    TRIGGER_BY_MARK_PRICE: _ClassVar[TriggerBy]

class SelfTradePrevention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SELF_TRADE_PREVENTION_UNSPECIFIED: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_NONE: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_MAKER: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_TAKER: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_BOTH: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_DECREMENT: _ClassVar[SelfTradePrevention]

class GroupKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUP_KIND_UNSPECIFIED: _ClassVar[GroupKind]
    GROUP_KIND_OCO: _ClassVar[GroupKind]
    GROUP_KIND_BRACKET: _ClassVar[GroupKind]

class OrderState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_STATE_UNSPECIFIED: _ClassVar[OrderState]
    ORDER_STATE_OPEN: _ClassVar[OrderState]
    ORDER_STATE_FILLED: _ClassVar[OrderState]
    ORDER_STATE_CANCELLED: _ClassVar[OrderState]
    ORDER_STATE_EXPIRED: _ClassVar[OrderState]
    ORDER_STATE_WAITING: _ClassVar[OrderState]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_BY_OWNER: _ClassVar[EndReason]
    END_REASON_BY_OPERATOR: _ClassVar[EndReason]
    END_REASON_SELF_TRADE: _ClassVar[EndReason]
    END_REASON_IOC_REMAINDER: _ClassVar[EndReason]
    END_REASON_FOK_UNFILLABLE: _ClassVar[EndReason]
    END_REASON_NO_LIQUIDITY: _ClassVar[EndReason]
    END_REASON_TIME_REACHED: _ClassVar[EndReason]
    END_REASON_TRIGGER_REFUSED: _ClassVar[EndReason]
    END_REASON_MIN_QUANTITY_UNFILLABLE: _ClassVar[EndReason]
    END_REASON_LINKED: _ClassVar[EndReason]
    END_REASON_REPLACED: _ClassVar[EndReason]
    END_REASON_DEAD_MAN: _ClassVar[EndReason]
    END_REASON_PRICE_BAND: _ClassVar[EndReason]
    END_REASON_AUCTION_REMAINDER: _ClassVar[EndReason]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_PRE_OPEN: _ClassVar[Phase]
    PHASE_OPENING_AUCTION: _ClassVar[Phase]
    PHASE_CONTINUOUS: _ClassVar[Phase]
    PHASE_VOLATILITY_AUCTION: _ClassVar[Phase]
    PHASE_HALT: _ClassVar[Phase]
    PHASE_POST_ONLY: _ClassVar[Phase]
    PHASE_CANCEL_ONLY: _ClassVar[Phase]
    PHASE_CLOSING_AUCTION: _ClassVar[Phase]
    PHASE_CLOSED: _ClassVar[Phase]

class HouseAccount(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOUSE_ACCOUNT_UNSPECIFIED: _ClassVar[HouseAccount]
    HOUSE_ACCOUNT_OUTSIDE: _ClassVar[HouseAccount]
    HOUSE_ACCOUNT_CLEARING: _ClassVar[HouseAccount]
    HOUSE_ACCOUNT_FEES: _ClassVar[HouseAccount]
    HOUSE_ACCOUNT_DUST: _ClassVar[HouseAccount]
    HOUSE_ACCOUNT_TREASURY: _ClassVar[HouseAccount]
    HOUSE_ACCOUNT_TRANSIT: _ClassVar[HouseAccount]
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_SELL: Side
ORDER_TYPE_UNSPECIFIED: OrderType
ORDER_TYPE_LIMIT: OrderType
ORDER_TYPE_MARKET: OrderType
ORDER_TYPE_STOP: OrderType
ORDER_TYPE_STOP_LIMIT: OrderType
ORDER_TYPE_TAKE_PROFIT: OrderType
ORDER_TYPE_TAKE_PROFIT_LIMIT: OrderType
ORDER_TYPE_TRAILING_STOP: OrderType
TIME_IN_FORCE_UNSPECIFIED: TimeInForce
TIME_IN_FORCE_GTC: TimeInForce
TIME_IN_FORCE_IOC: TimeInForce
TIME_IN_FORCE_FOK: TimeInForce
TIME_IN_FORCE_GTD: TimeInForce
TIME_IN_FORCE_GFA: TimeInForce
TRIGGER_BY_UNSPECIFIED: TriggerBy
TRIGGER_BY_LAST_PRICE: TriggerBy
TRIGGER_BY_MARK_PRICE: TriggerBy
SELF_TRADE_PREVENTION_UNSPECIFIED: SelfTradePrevention
SELF_TRADE_PREVENTION_NONE: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_MAKER: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_TAKER: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_BOTH: SelfTradePrevention
SELF_TRADE_PREVENTION_DECREMENT: SelfTradePrevention
GROUP_KIND_UNSPECIFIED: GroupKind
GROUP_KIND_OCO: GroupKind
GROUP_KIND_BRACKET: GroupKind
ORDER_STATE_UNSPECIFIED: OrderState
ORDER_STATE_OPEN: OrderState
ORDER_STATE_FILLED: OrderState
ORDER_STATE_CANCELLED: OrderState
ORDER_STATE_EXPIRED: OrderState
ORDER_STATE_WAITING: OrderState
END_REASON_UNSPECIFIED: EndReason
END_REASON_BY_OWNER: EndReason
END_REASON_BY_OPERATOR: EndReason
END_REASON_SELF_TRADE: EndReason
END_REASON_IOC_REMAINDER: EndReason
END_REASON_FOK_UNFILLABLE: EndReason
END_REASON_NO_LIQUIDITY: EndReason
END_REASON_TIME_REACHED: EndReason
END_REASON_TRIGGER_REFUSED: EndReason
END_REASON_MIN_QUANTITY_UNFILLABLE: EndReason
END_REASON_LINKED: EndReason
END_REASON_REPLACED: EndReason
END_REASON_DEAD_MAN: EndReason
END_REASON_PRICE_BAND: EndReason
END_REASON_AUCTION_REMAINDER: EndReason
PHASE_UNSPECIFIED: Phase
PHASE_PRE_OPEN: Phase
PHASE_OPENING_AUCTION: Phase
PHASE_CONTINUOUS: Phase
PHASE_VOLATILITY_AUCTION: Phase
PHASE_HALT: Phase
PHASE_POST_ONLY: Phase
PHASE_CANCEL_ONLY: Phase
PHASE_CLOSING_AUCTION: Phase
PHASE_CLOSED: Phase
HOUSE_ACCOUNT_UNSPECIFIED: HouseAccount
HOUSE_ACCOUNT_OUTSIDE: HouseAccount
HOUSE_ACCOUNT_CLEARING: HouseAccount
HOUSE_ACCOUNT_FEES: HouseAccount
HOUSE_ACCOUNT_DUST: HouseAccount
HOUSE_ACCOUNT_TREASURY: HouseAccount
HOUSE_ACCOUNT_TRANSIT: HouseAccount
